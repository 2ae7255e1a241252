"""Data to Altair charts; no Streamlit here."""
