-- What of a tool went wrong, newest first: it is little, and on a long log it lies far apart among the tool's other calls.
create index audit_events_tool_failed on audit_events (org_id, tool, seq) where outcome is not null and outcome <> 'ok';
