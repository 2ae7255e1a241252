"""Charts, and parts of charts, that several pages use: from data to Altair. No Streamlit here."""
