"""The Streamlit shell around sfcore: what all pages share. It draws; it computes nothing of its own."""
