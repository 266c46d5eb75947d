"""Whether what a project has recorded and stored is sound: what `penstock doctor` finds, and can mend."""
