"""Field mappings: YAML to typed model, compiled to vectorised Arrow operations.

`model` and `loader` are light (a DAG file may import them); `compiler` brings pyarrow.
"""
