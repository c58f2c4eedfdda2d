"""White blood cells classified from blood-smear photographs."""

import wbc.start
