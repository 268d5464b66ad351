using Workerd = import "/workerd/workerd.capnp";

# Bindings come from the environment, so that no secret is written to a file; one that is not set is null.
# Port 0: the real port is announced on --control-fd.
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .sender),
    (name = "internet", network = (allow = ["private"])), # the tests' servers listen on loopback
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const sender :Workerd.Worker = (
  modules = [(name = "sender.mjs", esModule = embed "sender.mjs")],
  compatibilityDate = "2026-04-01",
  bindings = [
    (name = "SHARED_SECRET", fromEnvironment = "SHARED_SECRET"),
    (name = "SIGNING_KEYS", fromEnvironment = "SIGNING_KEYS"),
    (name = "ACTIVE_KEY_ID", fromEnvironment = "ACTIVE_KEY_ID"),
    (name = "RECEIVER_WORKER_URL", fromEnvironment = "RECEIVER_WORKER_URL"),
    (name = "SUPABASE_URL", fromEnvironment = "SUPABASE_URL"),
    (name = "SUPABASE_ANON_KEY", fromEnvironment = "SUPABASE_ANON_KEY"),
  ],
);
