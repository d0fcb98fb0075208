"""The demo city: Kawakami (upstream) and Kawashimo (downstream), and the devices on and beside their river."""
