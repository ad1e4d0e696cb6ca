"""An answer as lanes: hosts left to right, boxes for the hooks where something happened, edges between them."""
