"""White blood cells classified from blood-smear photographs.

Importing the package makes every x86 processor compute the same bytes: numerical libraries read these settings when they
are loaded, so this comes before numpy and TensorFlow. What is set already stays.
"""

import os
from pathlib import Path

SAME_ON_EVERY_PROCESSOR = {
    "TF_ENABLE_ONEDNN_OPTS": "1",  # TensorFlow by itself takes oneDNN's faster kernels on some processors only
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # wider instructions sum in another order
    "OPENBLAS_CORETYPE": "Haswell",  # likewise
}


def _has_avx2() -> bool:
    """Tell whether the processor knows AVX2; False where the system does not say, as on ARM or macOS."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and " avx2 " in cpuinfo.read_text()


if _has_avx2():
    for _name, _value in SAME_ON_EVERY_PROCESSOR.items():
        os.environ.setdefault(_name, _value)
