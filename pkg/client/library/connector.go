package library

import (
	"context"
	"strings"

	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/client/powersync"
)

// Upload is a transaction that the server took but not as it was: it was rejected, and the device returns to the server's state, or
// fields of it were dropped.
type Upload struct {
	Transaction powersync.Transaction
	Result      papyrus.UploadResult
}

// Connector joins the account database to the server, in the name of one user: once somebody else is signed in on this device it fails.
type Connector struct {
	auth   *papyrus.AuthRepository
	userID string
	notify func(Upload)
}

// NewConnector returns the connector of a user. notify is told of uploads that the server did not take as they were.
func NewConnector(auth *papyrus.AuthRepository, userID string, notify func(Upload)) *Connector {
	return &Connector{auth, userID, notify}
}

// FetchCredentials asks the server for a token of the sync service.
func (c *Connector) FetchCredentials(ctx context.Context) (powersync.Credentials, error) {
	endpoint, err := c.auth.PowerSyncURL(ctx)
	if err != nil {
		return powersync.Credentials{}, err
	}
	token, err := c.auth.As(c.userID).CreatePowerSyncToken(ctx)
	if err != nil {
		return powersync.Credentials{}, err
	}
	return powersync.Credentials{Endpoint: strings.TrimRight(endpoint, "/"), Token: token.Token, ExpiresAt: token.ExpiresAt}, nil
}

// UploadData uploads the first transaction that waits, and completes it whatever the server did with it: one that it rejects it rejects
// for ever. Where the server gives no answer, or none that settles it, the transaction waits on.
func (c *Connector) UploadData(ctx context.Context, db *powersync.DB) error {
	next, ok, err := db.NextTransaction(ctx)
	if err != nil || !ok {
		return err
	}
	batch := make([]papyrus.Mutation, len(next.Mutations))
	for i, m := range next.Mutations {
		batch[i] = papyrus.Mutation{OpID: m.OpID, Op: string(m.Kind), Type: m.Table, ID: m.ID, TxID: m.TxID, Data: m.Data}
	}
	result, err := c.auth.As(c.userID).UploadPowerSyncBatch(ctx, batch)
	if err != nil {
		return err
	}
	if len(result.Rejected)+len(result.Warnings) > 0 {
		c.notify(Upload{next, result})
	}
	return db.Complete(ctx, next)
}
