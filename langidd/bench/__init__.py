"""How fast langidd is on this machine, stage by stage."""
