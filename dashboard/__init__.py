"""The dashboard: shows a sweep in the browser and never writes to it.

`skipscope dashboard [DIR]` starts it, or `python -m streamlit run dashboard/app.py -- --store DIR`. Its process imports
no torch, and h5py only through `store`.

How to add a page
-----------------
1. Make a folder `views/NAME` with an `__init__.py` (a docstring) and a `page.py`:

       def show(sweep: Sweep) -> None:
           \"""Show the page.\"""
           section("A heading")
           cached_chart("a chart", lambda palette: some_chart(sweep.impact(), palette), sweep, alt_text="What it shows")

       if __name__ == "__main__":
           render_page("One sentence that says what the page answers.", show)

2. Add a line to `navigation.PAGES`: the folder's name, the page's title, an icon.
3. Add a row to `PAGES` in `tests/dashboard/test_pages.py`: what the page must show of a finished sweep.
4. Add the folder to the map in `CONTRIBUTING.md`, as for every folder with code.

What a page does
----------------
- It reads data through `sweep` (`data.sweep.Sweep`) and `data.unit_data`, both cached. For data that is missing there,
  add a cached method; a page does not open the store.
- It takes every choice of the user through `widgets.choices`, which keeps it in the page's address.
- It shows charts through `widgets.cached_chart`, tables through `widgets.tables`, texts through `widgets.panels`.
- It raises SkipscopeError for what cannot be shown: `render_page` shows the message as a panel. A fragment
  (`st.fragment`) puts its body into `panels.errors_as_panel()`, because its exceptions do not reach the page.
- It passes text from outside (prompts, names, reasons) through `widgets.escaping` before Markdown or HTML.

What only one page uses stands beside its `page.py`. What several pages use stands in `widgets` (parts of a page,
Streamlit), `charts` (Altair, no Streamlit), `words` (labels and texts), `theme` (colours) or `data` (reading).

The folder of the pages is not called `pages`: Streamlit takes a folder of that name beside `app.py` for an application
of its own, and a fresh server then answers the first link to a page with "Page not found".
"""
