"""Assets: functions whose results are named, versioned data products, and what is made elsewhere and only observed."""
