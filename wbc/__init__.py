"""White blood cells classified from blood-smear photographs."""

from wbc import start as start  # before any other module loads numpy or TensorFlow
