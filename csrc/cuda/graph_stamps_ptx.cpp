// SPDX-License-Identifier: BSD-3-Clause
// Made from graph_stamps.cu by tests/helpers/stamp_ptx.py; a test compares the two.
#include "cuda/graph_stamps_ptx.h"

namespace fasttime {

const char kGraphStampsPtx[] = R"PTX(.version 6.0
.target sm_60
.address_size 64
.global .align 8 .b8 fasttime_counts[131072];
.visible .entry fasttime_stamp(
	.param .u64 fasttime_stamp_param_0,
	.param .u64 fasttime_stamp_param_1,
	.param .u64 fasttime_stamp_param_2,
	.param .u32 fasttime_stamp_param_3,
	.param .u32 fasttime_stamp_param_4,
	.param .u32 fasttime_stamp_param_5,
	.param .u32 fasttime_stamp_param_6
)
{
	.reg .pred 	%p<5>;
	.reg .b32 	%r<5>;
	.reg .b64 	%rd<33>;
	ld.param.u64 	%rd6, [fasttime_stamp_param_0];
	ld.param.u64 	%rd9, [fasttime_stamp_param_1];
	ld.param.u64 	%rd7, [fasttime_stamp_param_2];
	ld.param.u32 	%r1, [fasttime_stamp_param_3];
	ld.param.u32 	%r2, [fasttime_stamp_param_4];
	ld.param.u32 	%r3, [fasttime_stamp_param_5];
	ld.param.u32 	%r4, [fasttime_stamp_param_6];
	mov.u64 %rd32, %globaltimer;
	mul.wide.u32 	%rd10, %r2, 8;
	mov.u64 	%rd11, fasttime_counts;
	add.s64 	%rd12, %rd11, %rd10;
	ld.volatile.global.u64 	%rd2, [%rd12];
	mul.wide.u32 	%rd13, %r1, 8;
	add.s64 	%rd14, %rd11, %rd13;
	atom.global.add.u64 	%rd15, [%rd14], 1;
	sub.s64 	%rd3, %rd15, %rd9;
	setp.ne.s32 	%p1, %r4, 0;
	@%p1 bra 	$L__BB0_2;
	{
	.reg .pred counted;
	setp.ne.u64 counted, %rd3, -1;
	@counted mov.u64 %rd32, %globaltimer;
	}
$L__BB0_2:
	and.b64  	%rd22, %rd3, 65535;
	bfi.b64 	%rd20, %rd32, %rd22, 16, 48;
	shl.b64 	%rd23, %rd3, 1;
	add.s64 	%rd24, %rd23, 2;
	setp.eq.s32 	%p2, %r1, %r2;
	add.s64 	%rd25, %rd3, 1;
	sub.s64 	%rd26, %rd2, %rd7;
	setp.eq.s64 	%p3, %rd26, %rd25;
	or.pred  	%p4, %p2, %p3;
	selp.u64 	%rd27, 1, 0, %p4;
	or.b64  	%rd21, %rd24, %rd27;
	cvt.u64.u32 	%rd28, %r3;
	and.b64  	%rd29, %rd3, %rd28;
	cvta.to.global.u64 	%rd30, %rd6;
	shl.b64 	%rd31, %rd29, 4;
	add.s64 	%rd19, %rd30, %rd31;
	st.volatile.global.v2.u64 [%rd19], {%rd20, %rd21};
	ret;
}
.visible .entry fasttime_timer_step(
	.param .u64 fasttime_timer_step_param_0
)
{
	.reg .pred 	%p<5>;
	.reg .b32 	%r<5>;
	.reg .b64 	%rd<31>;
	ld.param.u64 	%rd19, [fasttime_timer_step_param_0];
	cvta.to.global.u64 	%rd1, %rd19;
	mov.u64 %rd27, %globaltimer;
	mov.u64 	%rd29, 0;
	mov.u64 	%rd30, -1;
	mov.u32 	%r4, 0;
	mov.u64 	%rd28, %rd29;
$L__BB1_1:
	mov.u64 %rd20, %globaltimer;
	setp.eq.s64 	%p1, %rd20, %rd27;
	@%p1 bra 	$L__BB1_3;
	sub.s64 	%rd21, %rd20, %rd27;
	min.u64 	%rd30, %rd30, %rd21;
	max.u64 	%rd29, %rd29, %rd21;
	add.s64 	%rd28, %rd28, 1;
	mov.u64 	%rd27, %rd20;
$L__BB1_3:
	add.s32 	%r4, %r4, 1;
	setp.lt.u32 	%p2, %r4, 1000000;
	setp.lt.u64 	%p3, %rd28, 32;
	and.pred  	%p4, %p3, %p2;
	@%p4 bra 	$L__BB1_1;
	st.volatile.global.u64 	[%rd1], %rd30;
	st.volatile.global.u64 	[%rd1+8], %rd29;
	membar.sys;
	add.s64 	%rd22, %rd28, 1;
	st.volatile.global.u64 	[%rd1+16], %rd22;
	ret;
}
)PTX";

}  // namespace fasttime
