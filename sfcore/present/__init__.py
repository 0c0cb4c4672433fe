"""What people look at: figures, tables, pictures and the report, of Plotly and OpenCV; nothing of Streamlit."""

from pathlib import Path

LOGO = Path(__file__).with_name("logo.svg")
