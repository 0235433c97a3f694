-- Gateway: a member that an operator refused. Empty while it waits or is registered.
ALTER TABLE members ADD COLUMN refusal TEXT;
