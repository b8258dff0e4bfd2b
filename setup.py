# SPDX-License-Identifier: BSD-3-Clause
"""Builds fasttime._C. Needs a C++17 compiler, setuptools and pybind11: no torch, no CUDA toolkit.

FASTTIME_WERROR=1 turns compiler warnings into errors, for development.
"""

import os
import re
import sys
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup
from setuptools.errors import CompileError

if not sys.platform.startswith("linux"):
    sys.exit(f"fasttime supports Linux only, and this is {sys.platform!r}")

REPOSITORY = "https://github.com/fasttime/fasttime"
COMPILER_HELP = """
fasttime could not compile its C++ part. Likely causes, and what to do:
  * there is no C++ compiler:        apt install g++   (or dnf install gcc-c++)
  * the compiler is older than C++17: use GCC >= 9 or Clang >= 10, e.g. CXX=g++-12 pip install .
  * Python's headers are missing:    apt install python3-dev   (or dnf install python3-devel)
The compiler's own words are above.
"""


def read_readme() -> str:
    """Return README.md with links and pictures that also work on a package index."""
    text = Path("README.md").read_text(encoding="utf-8")
    text = re.sub(r"(!\[[^]]*\]\()(?!https?:)", rf"\1{REPOSITORY}/raw/main/", text)
    return re.sub(r"\]\((?!https?:|#)", f"]({REPOSITORY}/blob/main/", text)


class BuildExtension(build_ext):
    def build_extensions(self):
        try:
            super().build_extensions()
        except CompileError:
            print(COMPILER_HELP, file=sys.stderr)
            raise


# Calls to Python go by their table at once: after a record each detour is a line of cold code.
flags = ["-O2", "-g0", "-fno-plt"]
warnings = ["-Wall", "-Wextra"]
if os.environ.get("FASTTIME_WERROR") == "1":
    warnings.append("-Werror")

extension = Pybind11Extension(
    "fasttime._C",
    sources=sorted(str(path) for path in Path("csrc").rglob("*.cpp")),
    depends=sorted(str(path) for path in Path("csrc").rglob("*.h")),
    include_dirs=["csrc"],
    cxx_std=17,
    extra_compile_args=[*flags, *warnings],
    libraries=["dl", "pthread"],
)

ParallelCompile("MAX_JOBS", default=os.cpu_count() or 1).install()
setup(
    ext_modules=[extension],
    cmdclass={"build_ext": BuildExtension},
    long_description=read_readme(),
    long_description_content_type="text/markdown",
)
