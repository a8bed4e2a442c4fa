"""The stages of the loop, one file each; no stage imports another."""
