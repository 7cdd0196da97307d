"""What is managed: one INMF a folder, under one contract; numpy only."""
