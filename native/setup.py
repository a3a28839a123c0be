"""Build of the kernels: all files `src/*.cc` become one library; oneDNN's library is copied.

The files `src/text/*.cc` and `src/images/*.cc` become a Python module each, which needs neither
oneDNN nor jaxlib.
"""

import glob
import importlib.metadata
import os
import shutil

import jax
import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


def onednn(distribution, ending):
    """Return the path of a file in oneDNN's wheels, which install it outside site-packages."""
    for file in importlib.metadata.files(distribution):
        if str(file).endswith(ending):
            return os.path.realpath(file.locate())
    raise FileNotFoundError(
        f"{distribution} has no file {ending}. Install the build requirements of pyproject.toml."
    )


class Build(build_ext):
    """Compiles with the headers of oneDNN and jaxlib, and copies oneDNN's library to the result."""

    def finalize_options(self):
        super().finalize_options()
        # Files in `build/` may come from a build with other flags, such as script/sanitize, or for
        # another jaxlib.
        self.force = True

    def build_extension(self, extension):
        if extension.name != "hornbeam_cpu.kernels":
            super().build_extension(extension)
            return
        header = onednn("onednn-devel-cpu-gomp", "include/dnnl.hpp")
        library = onednn("onednn-cpu-gomp", "libdnnl.so.3")
        extension.extra_compile_args += [
            "-isystem",
            os.path.dirname(header),
            "-isystem",
            jax.ffi.include_dir(),
        ]
        extension.extra_link_args += [f"-L{os.path.dirname(library)}", "-l:libdnnl.so.3"]
        super().build_extension(extension)
        shutil.copy(library, os.path.dirname(self.get_ext_fullpath(extension.name)))


def python_module(name):
    """Return the module of the files `src/NAME/*.cc`.

    Products and sums are rounded one by one, as NumPy does it.
    """
    return Extension(
        f"hornbeam_cpu.{name}",
        sources=sorted(glob.glob(f"src/{name}/*.cc")),
        depends=sorted(glob.glob(f"src/{name}/*.h") + glob.glob("src/host/*.h")),
        include_dirs=[numpy.get_include()],
        language="c++",
        extra_compile_args=["-std=c++17", "-O3", "-g0", "-pthread", "-Wall", "-ffp-contract=off"],
        extra_link_args=["-pthread"],
    )


setup(
    ext_modules=[
        Extension(
            "hornbeam_cpu.kernels",
            sources=sorted(glob.glob("src/*.cc")),
            depends=sorted(glob.glob("src/*.h")),
            language="c++",
            extra_compile_args=["-std=c++17", "-O3", "-g0", "-fopenmp", "-fno-math-errno", "-Wall"],
            extra_link_args=["-fopenmp", "-Wl,-rpath,$ORIGIN"],
        ),
        python_module("text"),
        python_module("images"),
    ],
    cmdclass={"build_ext": Build},
)
