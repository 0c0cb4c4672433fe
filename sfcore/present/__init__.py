"""What people look at: figures, tables, pictures and the report, of Plotly and OpenCV; nothing of Streamlit."""
