"""Column lineage of all integrations in one model: `tieout.mapping.lineage.ColumnLineage`.

`catalog` finds it for every mapping file, `syspro` and `banqup` know what is not in the mapping files, `facets` turns
it into OpenLineage's facets, `picture` into a picture. Nothing here reads data or a network; no module of `systems`,
`mapping` or `formats` imports this package.
"""
