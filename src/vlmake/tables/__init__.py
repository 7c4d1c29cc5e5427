"""Tables in the formats of people and other tools: spreadsheets, exports, finished predictions."""
