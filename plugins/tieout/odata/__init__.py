"""Reading OData services: paging by key, filters, pages to Arrow tables. Knows OData, knows no system."""
