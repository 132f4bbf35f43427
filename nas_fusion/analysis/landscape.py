"""The landscape: the loss of every configuration of a space, the ground truth that samplers are compared on."""
