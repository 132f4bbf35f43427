"""The command line `nas-fusion`: one file a command. Nothing heavy is imported before a command runs."""
