"""White blood cells classified from blood-smear photographs."""
