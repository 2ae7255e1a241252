"""The dashboard: a sweep in the browser, read only. No torch in its process, no HDF5 outside `store`.

`python -m streamlit run dashboard/app.py -- --store DIR` starts it. What lies where:

- `app.py`, `pages.py`: the pages and the navigation. `source.py`: which store is shown.
- `frame.py`: what every page shares: the head, the store opened, a panel for every error.
- `data.py`, `shards.py`: the only ways to the store, cached on cheap stamps. `Sweep` is what a view is given.
- `choices.py`: widgets whose value lives in the address (deep links). `labels.py`: names for people.
- `palette.py`, `shades.py`, `theme_watch.py`: colours and chart settings of both themes.
- `style.css`: our own markup's looks.
- `parts.py`: pieces of a page: panels, facts, charts, tables with a CSV. `pictures.py`, `strips.py`: pictures in cards
  and film strips. `state.py`, `film.py`, `swept.py`, `measured.py`: whole sections of a page.
- `cells.py`, `trials.py`: ablations as the map and the evidence need them.
- `policies.py`, `comparison.py`: policy files and their pictures, read without trust. `quality.py`, `validation.py`,
  `policy_map.py`: how policies compare, a validation in words, a policy by component and step. `policy_details.py`:
  the page's section on one policy. `phases.py`: what the phases' charts say, in words.
- `drawn.py`: charts kept as finished specifications, for those that cost more to build than to draw.
- `charts/`: data to Altair charts, no Streamlit. `views/`: one page a file.

A view is a file `views/NAME.py`, registered in `pages.py`, that ends with

    if __name__ == "__main__":
        page("Title", "One sentence that says what the page answers.", show)

and defines `show(sweep: Sweep) -> None`. It

- asks `sweep` for data (add a cached method in `data.py` for what is missing; a view never opens the store);
- makes every choice with `choices.select`, `choices.segments` or `choices.slider`, which keep the address up to date
  and ignore what an address says wrongly, with a note;
- draws charts of `charts/` by `parts.chart(chart)`, and tables by `parts.table(rows, name=...)`, which adds the CSV;
- raises `SkipscopeError` for what cannot be shown: `page` makes a panel of it; a fragment wraps its body in
  `frame.errors_in_a_panel()`, because its errors never reach the page;
- escapes what comes from outside (prompts, names, reasons) by `parts.plain` before it becomes Markdown or HTML.
"""
