"""Twins, contradictions and flaws in any folder of images."""
