"""The OpenFeature door: OFREP 0.3, so that every OpenFeature SDK is a client."""
