package papyrus

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/library"
)

// What becomes of uploads beside library's results.
const (
	uploadMalformed  library.Result = "malformed"
	uploadIncomplete library.Result = "incomplete"
	uploadCrowded    library.Result = "crowded" // there was no memory for it
	uploadFailed     library.Result = "failed"
)

func (a api) mountSync(e *echo.Echo) {
	sync := a.Prefix + "/sync"
	httpapi.Read(e, sync+"/settings", a.settings)
	e.POST(sync+"/powersync-upload", a.signedIn(a.upload))
	httpapi.Read(e, sync+"/dead-letters", a.signedIn(a.deadLetters))
	httpapi.Read(e, sync+"/dead-letters/:id", a.signedIn(a.deadLetter))
}

// newUploadCounter counts uploads by what became of them.
func newUploadCounter(metrics prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "provisioner_sync_uploads_total", Help: "Uploads of devices' changes, by what became of them.",
	}, []string{"result"})
	metrics.MustRegister(c)
	for _, result := range []library.Result{
		library.Applied, library.Rejected, library.Repeated, uploadMalformed, uploadIncomplete, uploadCrowded, uploadFailed,
	} {
		c.WithLabelValues(string(result))
	}
	return c
}

// upload serves POST /v1/sync/powersync-upload: {batch}, one transaction of a device, to 200 {applied_count, warnings?} or, where it
// can never succeed, 200 {applied_count: 0, rejected}: a device sends whatever is answered otherwise again and again. Codes:
// VALIDATION_ERROR for what is no such request, SERVICE_UNAVAILABLE where trying again helps.
func (a api) upload(c echo.Context, who account.Principal) error {
	answer, err := a.takeUpload(c, who)
	a.uploadCount.WithLabelValues(string(resultOf(answer, err))).Inc()
	if err != nil {
		return err
	}
	return httpapi.WriteRaw(c, http.StatusOK, answer.JSON)
}

func (a api) takeUpload(c echo.Context, who account.Principal) (library.Answer, error) {
	r := c.Request()
	place, err := a.uploadRoom.enter(r.Context(), who.UserID, r.ContentLength)
	if err != nil {
		return library.Answer{}, err
	}
	defer place.leave()
	body := newPacedBody(c, time.Now)
	defer body.close()
	from := library.Device{UserID: who.UserID, SessionID: who.SessionID}
	return a.Uploads.Upload(r.Context(), from, place.reader(r.Context(), body))
}

func resultOf(answer library.Answer, err error) library.Result {
	switch {
	case err == nil:
		return answer.Result
	case errors.Is(err, library.ErrMalformed):
		return uploadMalformed
	case errors.Is(err, errCrowded):
		return uploadCrowded
	case errors.Is(err, library.ErrIncomplete):
		return uploadIncomplete
	}
	return uploadFailed
}

// Refusals of uploads.
var (
	errNoUpload = invalid("The body must be one JSON object with a batch, which is an array")
	errCrowded  = &apierror.Error{
		Status: http.StatusServiceUnavailable, Code: apierror.ServiceUnavailable, Message: "too many uploads at once, try again",
		RetryAfter: crowdedRetry,
	}
	errIncomplete = &apierror.Error{
		Status: http.StatusServiceUnavailable, Code: apierror.ServiceUnavailable, Message: "the body did not arrive in time, or not whole, try again",
		RetryAfter: time.Second,
	}
)
