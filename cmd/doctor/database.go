package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/store"
)

// database opens the database as it is, and looks at its schema, its clock and what it offers to a PowerSync Service.
func database(ctx context.Context, in *Installation) []Finding {
	c := in.Config
	if c.Database.Engine == "" { // the service has none, or its setting is a fault
		return nil
	}
	if c.Database.Engine == config.SQLite {
		if _, err := os.Stat(c.Database.Path); errors.Is(err, fs.ErrNotExist) {
			return []Finding{notice("DATABASE_URL", "names a file that is not there yet", "the first start makes it; if there was one, set DATA_DIR right")}
		}
	}
	db, err := in.Open(ctx)
	if err != nil {
		return []Finding{failure("DATABASE_URL", "cannot be used: "+err.Error(), "set it right")}
	}
	defer func() { _ = db.Close() }()
	return inspect(ctx, in, db)
}

func inspect(ctx context.Context, in *Installation, db *store.DB) []Finding {
	if err := db.Ping(ctx); err != nil {
		return []Finding{failure("DATABASE_URL", "does not answer: "+reason(err), "start the server, or set its address, user and password right")}
	}
	found := schema(ctx, in.Config, db)
	sent := in.Now()
	now, err := db.Clock(ctx)
	switch {
	case err != nil:
		return append(found, unanswered(err))
	case !now.IsZero():
		found = append(found, clock("DATABASE_URL", ahead(sent, in.Now(), now, now))...)
	}
	if in.serves(config.Papyrus) && in.Config.Database.Engine == config.Postgres {
		found = append(found, replication(ctx, in.Config, db)...)
	}
	return found
}

// reason returns the cause of an error of the store on one line.
func reason(err error) string {
	if e, ok := errors.AsType[*apierror.Error](err); ok && e.Err != nil {
		err = e.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

func unanswered(err error) Finding {
	return failure("DATABASE_URL", "did not tell: "+reason(err), "see that the role may read the system's catalogs")
}

// schema says whether migrations are behind.
func schema(ctx context.Context, c *config.Config, db *store.DB) []Finding {
	switch err := db.CheckSchema(ctx); {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotAdopted):
		return []Finding{failure("DATABASE_URL", "holds the accounts of another server", "adopt them: provisioner migrate adopt --dry-run")}
	case !errors.Is(err, store.ErrOutdated):
		return []Finding{unanswered(err)}
	case c.Database.AutoMigrate:
		return []Finding{notice("DATABASE_URL", "has a schema that is behind this program", "the next start brings it up to date, or provisioner migrate up")}
	}
	return []Finding{failure("DATABASE_URL", "has a schema that is behind this program, and AUTO_MIGRATE is false", "provisioner migrate up")}
}
