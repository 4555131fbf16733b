"""Posteriors in closed form or by quadrature, and, where there is no closed form, by sampling (``pooling``)."""
