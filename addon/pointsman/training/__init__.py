"""Making and judging bundles: never imported while serving.

Order of reading: `data` (what is known), `abilities` and `transfer` (the recipe's two
models), `recipe` (clusters and cells), `build` (a bundle from them), `aiq` and
`evaluation` (what the recipe is worth).
"""
