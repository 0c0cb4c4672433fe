"""Small components of our own, written inline: what Streamlit has no widget for."""
