"""What starts runs at their time: looks at triggers, and hands what is to be started to processes of its own.

A daemon has no state that matters. Whatever it decides is recorded in one transaction, with what the decision was made
from; any number of daemons may serve one store, and any of them may end at any moment.
"""
