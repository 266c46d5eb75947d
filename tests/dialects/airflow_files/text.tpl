file of {{ ds }} with {{ params.name }}
