CREATE TRIGGER merkle_log_no_change BEFORE UPDATE OR DELETE ON log
    FOR EACH ROW EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER merkle_log_no_truncate BEFORE TRUNCATE ON log
    FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER log_nodes_no_change BEFORE UPDATE OR DELETE ON log_nodes
    FOR EACH ROW EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER log_nodes_no_truncate BEFORE TRUNCATE ON log_nodes
    FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER log_heads_no_change BEFORE UPDATE ON log_heads
    FOR EACH ROW WHEN (OLD.block > 0) EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER log_heads_no_delete BEFORE DELETE ON log_heads
    FOR EACH ROW EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER log_heads_no_truncate BEFORE TRUNCATE ON log_heads
    FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();
