"""White blood cells classified from blood-smear photographs."""

import wbc.start as start  # before any other module loads numpy or TensorFlow
