"""Parts of a page that several pages use: the page's template, choices, panels, tables, charts, pictures."""
