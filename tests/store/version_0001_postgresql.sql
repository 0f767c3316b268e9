-- pg_dump of a database that the workbench made before it kept governance
CREATE FUNCTION audit_delete_refused() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN RAISE EXCEPTION 'audit is append-only'; END$$;
CREATE FUNCTION audit_update_refused() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN RAISE EXCEPTION 'audit is append-only'; END$$;
CREATE FUNCTION records_delete_refused() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN RAISE EXCEPTION 'records is append-only'; END$$;
CREATE FUNCTION records_update_refused() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN RAISE EXCEPTION 'records is append-only'; END$$;
CREATE FUNCTION runs_delete_refused() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN RAISE EXCEPTION 'runs are kept'; END$$;
CREATE FUNCTION runs_update_refused() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN RAISE EXCEPTION 'a run ends once'; END$$;
CREATE TABLE audit (
    sequence integer NOT NULL,
    at text NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL
);
CREATE SEQUENCE audit_sequence_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE audit_sequence_seq OWNED BY audit.sequence;
CREATE TABLE records (
    sequence integer NOT NULL,
    id text NOT NULL,
    kind text NOT NULL,
    parent text,
    run text,
    actor text NOT NULL,
    at text NOT NULL,
    zone text NOT NULL,
    revision text NOT NULL,
    body text NOT NULL,
    CONSTRAINT chain_starts_at_dataset CHECK (((parent IS NULL) = (kind = 'dataset'::text))),
    CONSTRAINT kind_known CHECK ((kind = ANY (ARRAY['dataset'::text, 'prepared'::text, 'candidate'::text, 'review'::text, 'model'::text, 'acceptance'::text, 'bento'::text, 'deployment'::text, 'report'::text])))
);
CREATE SEQUENCE records_sequence_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE records_sequence_seq OWNED BY records.sequence;
CREATE TABLE runs (
    id text NOT NULL,
    flow text NOT NULL,
    state text NOT NULL,
    actor text NOT NULL,
    started text NOT NULL,
    finished text,
    host text NOT NULL,
    process integer NOT NULL,
    process_started text NOT NULL,
    reason text,
    CONSTRAINT finished_when_ended CHECK (((state = 'running'::text) = (finished IS NULL))),
    CONSTRAINT state_known CHECK ((state = ANY (ARRAY['running'::text, 'succeeded'::text, 'failed'::text])))
);
ALTER TABLE ONLY audit ALTER COLUMN sequence SET DEFAULT nextval('audit_sequence_seq'::regclass);
ALTER TABLE ONLY records ALTER COLUMN sequence SET DEFAULT nextval('records_sequence_seq'::regclass);
INSERT INTO audit VALUES (1, '2026-11-23T21:48:12.583298+00:00', 'ann', 'add dataset', 'dataset-1');
INSERT INTO audit VALUES (2, '2026-11-23T21:48:12.585979+00:00', 'bob', 'start run', 'experiment-1');
INSERT INTO audit VALUES (3, '2026-11-23T21:48:12.589633+00:00', 'ann', 'add acceptance', 'acceptance-1');
INSERT INTO audit VALUES (4, '2026-11-23T21:48:12.600523+00:00', 'eve', 'x', 'y');
INSERT INTO audit VALUES (6, '2026-11-23T21:48:12.604117+00:00', 'bob', 'run failed', 'experiment-1');
INSERT INTO audit VALUES (7, '2026-11-23T21:48:12.606989+00:00', 'bob', 'start run', 'experiment-2');
INSERT INTO records VALUES (1, 'dataset-1', 'dataset', NULL, NULL, 'ann', '2026-11-01T10:00:00.000000+00:00', 'local', 'r1', '{"name": "people", "source": "people.csv", "digest": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd", "rows": 3, "columns": {"age": "Float64"}, "owner": "Department \u00c9", "purpose": "test"}');
INSERT INTO records VALUES (2, 'acceptance-1', 'acceptance', 'dataset-1', 'experiment-1', 'ann', '2026-11-01T11:00:00.000000+00:00', 'local', 'r1', '{"reason": "it''s fine; 100 %"}');
INSERT INTO runs VALUES ('experiment-1', 'experiment', 'failed', 'bob', '2026-11-23T21:48:12.585256+00:00', '2026-11-23T21:48:12.601422+00:00', 'elsewhere', 4242, '0.00', 'too few rows');
INSERT INTO runs VALUES ('experiment-2', 'experiment', 'running', 'bob', '2026-11-23T21:48:12.605488+00:00', NULL, 'elsewhere', 4242, '0.00', NULL);
SELECT setval('audit_sequence_seq', 7, true);
SELECT setval('records_sequence_seq', 2, true);
ALTER TABLE ONLY audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (sequence);
ALTER TABLE ONLY records
    ADD CONSTRAINT records_id_key UNIQUE (id);
ALTER TABLE ONLY records
    ADD CONSTRAINT records_pkey PRIMARY KEY (sequence);
ALTER TABLE ONLY runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);
CREATE INDEX records_by_parent ON records USING btree (parent);
CREATE INDEX records_by_run ON records USING btree (run);
CREATE TRIGGER audit_delete_refused BEFORE DELETE ON audit FOR EACH ROW WHEN (true) EXECUTE FUNCTION audit_delete_refused();
CREATE TRIGGER audit_update_refused BEFORE UPDATE ON audit FOR EACH ROW WHEN (true) EXECUTE FUNCTION audit_update_refused();
CREATE TRIGGER records_delete_refused BEFORE DELETE ON records FOR EACH ROW WHEN (true) EXECUTE FUNCTION records_delete_refused();
CREATE TRIGGER records_update_refused BEFORE UPDATE ON records FOR EACH ROW WHEN (true) EXECUTE FUNCTION records_update_refused();
CREATE TRIGGER runs_delete_refused BEFORE DELETE ON runs FOR EACH ROW WHEN (true) EXECUTE FUNCTION runs_delete_refused();
CREATE TRIGGER runs_update_refused BEFORE UPDATE ON runs FOR EACH ROW WHEN (((old.state <> 'running'::text) AND (new.state <> 'running'::text))) EXECUTE FUNCTION runs_update_refused();
ALTER TABLE ONLY records
    ADD CONSTRAINT records_parent_fkey FOREIGN KEY (parent) REFERENCES records(id);
ALTER TABLE ONLY records
    ADD CONSTRAINT records_run_fkey FOREIGN KEY (run) REFERENCES runs(id);
