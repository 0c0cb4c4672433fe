"""Pictures as pure functions: data in, image array or Plotly figure out. Nothing here imports Streamlit."""
