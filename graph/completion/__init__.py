"""Completion by functions compiled once an operation; anything unusual is graphql-core's to complete."""
