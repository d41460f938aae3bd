// Package pagekeep is a client of `pagekeep serve`: backups of SQLite databases on another machine. One file, the standard
// library only.
//
//	server, err := pagekeep.New("https://backup.example.org", pagekeep.Options{Token: "..."})
//	job, err := server.BackupDatabase(ctx, "shop", pagekeep.Backup{Note: "before the move"}) // waits until it is kept
//	size, err := server.Download(ctx, "shop", *job.Snapshot, "shop-copy.sqlite", pagekeep.Download{})
//	job, err = server.RestoreDatabase(ctx, "shop", "shop@3", pagekeep.Waiting{})
//
// Every failure but those of files and of the context is an *Error with Code, Message and Hint.
package pagekeep

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The most bytes of an answer in JSON.
const mostJSON = 256 << 20

// Error is what did not happen. Code is the server's word for the kind of failure, or one of unreachable, untrusted,
// redirected, foreign, short, exists, cancelled and interrupted. Hint says what to do next, where that is known.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
	Status  int    `json:"-"`
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + " (" + e.Hint + ")"
}

// Options say how a server is talked to.
type Options struct {
	// Token proves who asks; or User and Password do.
	Token, User, Password string
	// CA is a file with the certificates of an authority of your own.
	CA string
	// Timeout is how long an answer may take to begin; 150 seconds when not said.
	Timeout time.Duration
}

// Client is a server that is talked to; it can be used by several goroutines at once. What is asked and changes nothing is
// asked again when the connection breaks; nothing else is. Redirects are not followed.
type Client struct {
	base    *url.URL
	options Options
	http    *http.Client
}

// Job is work that a server does.
type Job struct {
	ID         string          `json:"id"`
	Database   string          `json:"database"`
	Task       string          `json:"task"`
	State      string          `json:"state"`
	Phase      *string         `json:"phase"`
	DoneBytes  int64           `json:"done_bytes"`
	TotalBytes int64           `json:"total_bytes"`
	MovedBytes int64           `json:"moved_bytes"`
	CreatedAt  time.Time       `json:"created_at"`
	StartedAt  *time.Time      `json:"started_at"`
	FinishedAt *time.Time      `json:"finished_at"`
	Snapshot   *string         `json:"snapshot"`
	Result     json.RawMessage `json:"result"`
	Failure    *Error          `json:"error"`
}

// Snapshot is a state of a database that is kept.
type Snapshot struct {
	Snapshot   string            `json:"snapshot"`
	Number     uint32            `json:"number"`
	ID         string            `json:"id"`
	FileName   string            `json:"file_name"`
	CreatedAt  time.Time         `json:"created_at"`
	Host       string            `json:"host"`
	Note       *string           `json:"note"`
	Labels     map[string]string `json:"labels"`
	SizeBytes  int64             `json:"size_bytes"`
	AddedBytes int64             `json:"added_bytes"`
}

// Database is what is known of a database.
type Database struct {
	Name        string  `json:"name"`
	Path        string  `json:"path"`
	Snapshot    *string `json:"snapshot"`
	SnapshotAge *int64  `json:"snapshot_age_s"`
	Busy        bool    `json:"busy"`
	Restoring   *string `json:"restoring"`
}

// Waiting says how a job is waited for.
type Waiting struct {
	// Progress is called with each state that is seen.
	Progress func(Job)
	// Begin returns the job as it was begun, without waiting.
	Begin bool
	// Patience is how long the server may be away, since the job goes on without it; a minute when not said.
	Patience time.Duration
}

// Backup says what is said about a snapshot, and how it is waited for.
type Backup struct {
	Note string
	// Sync brings all remotes up to date, and makes nothing when nothing changed.
	Sync bool
	Waiting
}

// Upload says what is said about a snapshot, and how it is waited for.
type Upload struct {
	Note string
	Waiting
}

// Download says how a file is written.
type Download struct {
	// Progress is called while it comes.
	Progress func(done, total int64)
	// Replace replaces what is there.
	Replace bool
}

// New makes ready to talk to a server; nothing is sent yet.
func New(address string, options Options) (*Client, error) {
	base, err := url.Parse(address)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, &Error{Code: "usage", Message: "this is not the address of a server", Hint: "it looks like https://host:7070"}
	}
	if base.User != nil {
		return nil, &Error{Code: "usage", Message: "an address holds no name and password", Hint: "give them as Options"}
	}
	if options.Timeout == 0 {
		options.Timeout = 150 * time.Second
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = options.Timeout
	if options.CA != "" {
		pem, err := os.ReadFile(options.CA)
		if err != nil {
			return nil, err
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, &Error{Code: "usage", Message: "there is no certificate in " + options.CA}
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: base, options: options, http: &http.Client{Transport: transport, CheckRedirect: stay}}, nil
}

// Databases lists all databases.
func (c *Client) Databases(ctx context.Context) ([]Database, error) {
	var found []Database
	query := url.Values{"limit": {"1000"}}
	for {
		var page struct {
			Databases []Database `json:"databases"`
			Next      *string    `json:"next"`
		}
		if err := c.get(ctx, []string{"databases"}, query, &page); err != nil {
			return nil, err
		}
		found = append(found, page.Databases...)
		if page.Next == nil {
			return found, nil
		}
		query.Set("after", *page.Next)
	}
}

// List lists the snapshots of a database, newest first, 1000 at most.
func (c *Client) List(ctx context.Context, database string) ([]Snapshot, error) {
	var found []Snapshot
	err := c.get(ctx, []string{"databases", database, "snapshots"}, url.Values{"limit": {"1000"}}, &found)
	return found, err
}

// Status says where a job stands.
func (c *Client) Status(ctx context.Context, id string) (Job, error) {
	var job Job
	err := c.get(ctx, []string{"jobs", id}, nil, &job)
	return job, err
}

// BackupDatabase makes a snapshot.
func (c *Client) BackupDatabase(ctx context.Context, database string, how Backup) (Job, error) {
	body := map[string]any{"sync": how.Sync}
	if how.Note != "" {
		body["note"] = how.Note
	}
	return c.begin(ctx, []string{"databases", database, "snapshots"}, body, how.Waiting)
}

// RestoreDatabase puts a database back to a snapshot while programs use it: shop@3, latest~1, a time, or a name like
// shop-20261121-020000.db. Its present state is kept first.
func (c *Client) RestoreDatabase(ctx context.Context, database, snapshot string, how Waiting) (Job, error) {
	return c.begin(ctx, []string{"databases", database, "restore"}, map[string]any{"snapshot": snapshot}, how)
}

// Cancel asks a job to stop, which it does at its next safe point; nothing half done is visible then.
func (c *Client) Cancel(ctx context.Context, id string) (Job, error) {
	return c.begin(ctx, []string{"jobs", id, "cancel"}, map[string]any{}, Waiting{Begin: true})
}

// Upload makes a database file that nobody writes to the next snapshot; the database itself is not touched.
func (c *Client) Upload(ctx context.Context, database, path string, how Upload) (Job, error) {
	for _, ending := range []string{"-wal", "-journal"} {
		if beside, err := os.Stat(path + ending); err == nil && beside.Size() > 0 {
			message := path + " is in use: beside it lies " + path + ending
			return Job{}, &Error{Code: "source", Message: message, Hint: "upload a copy of it"}
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return Job{}, err
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		return Job{}, err
	}
	query := url.Values{}
	if how.Note != "" {
		query.Set("note", how.Note)
	}
	request, err := c.request(ctx, http.MethodPost, []string{"databases", database, "upload"}, query, file)
	if err != nil {
		return Job{}, err
	}
	request.ContentLength = about.Size()
	request.Header.Set("Content-Type", "application/octet-stream")
	var job Job
	if err := c.data(c.send(request))(&job); err != nil {
		return Job{}, err
	}
	return c.end(ctx, job, how.Waiting)
}

// Wait waits for a job's end and returns it.
func (c *Client) Wait(ctx context.Context, id string, how Waiting) (Job, error) {
	patience := how.Patience
	if patience == 0 {
		patience = time.Minute
	}
	began := time.Now()
	heard := began
	for {
		job, err := c.Status(ctx, id)
		var failure *Error
		switch {
		case err == nil:
			heard = time.Now()
			if how.Progress != nil {
				how.Progress(job)
			}
			switch job.State {
			case "completed":
				return job, nil
			case "failed", "cancelled", "interrupted":
				if job.Failure != nil {
					return job, job.Failure
				}
				return job, &Error{Code: job.State, Message: id + " is " + job.State}
			}
		case !errors.As(err, &failure) || failure.Code != "unreachable" || time.Since(heard) >= patience:
			return Job{}, err
		}
		pause := 500 * time.Millisecond
		if time.Since(began) < 3*time.Second {
			pause = 100 * time.Millisecond
		}
		if err := sleep(ctx, pause); err != nil {
			return Job{}, err
		}
	}
}

// Download writes a snapshot to path as a plain SQLite file, which appears whole or not at all, and returns its bytes. When
// the connection breaks it is gone on with.
func (c *Client) Download(ctx context.Context, database, snapshot, path string, how Download) (size int64, err error) {
	taken := &Error{Code: "exists", Message: path + " is there already", Hint: "say Replace, or take another path"}
	if _, err := os.Lstat(path); err == nil && !how.Replace {
		return 0, taken
	}
	// By its number it is the same one, whatever is made meanwhile.
	var kept Snapshot
	if err := c.get(ctx, []string{"databases", database, "snapshots", snapshot}, nil, &kept); err != nil {
		return 0, err
	}
	out, err := os.CreateTemp(filepath.Dir(path), ".pagekeep-download-")
	if err != nil {
		return 0, err
	}
	defer func() {
		out.Close()
		os.Remove(out.Name())
	}()
	size, err = c.fetch(ctx, []string{"databases", database, "snapshots", kept.Snapshot, "download"}, out, how.Progress)
	if err != nil {
		return 0, err
	}
	if err := out.Sync(); err != nil {
		return 0, err
	}
	if how.Replace {
		return size, os.Rename(out.Name(), path)
	}
	if err := os.Link(out.Name(), path); errors.Is(err, os.ErrExist) {
		return 0, taken
	} else if err != nil {
		return 0, err
	}
	return size, nil
}

func (c *Client) fetch(ctx context.Context, parts []string, out io.Writer, progress func(done, total int64)) (int64, error) {
	got, size, tries := int64(0), int64(-1), 0
	for {
		before := got
		wanted := http.StatusOK
		headers := http.Header{}
		if got > 0 {
			wanted = http.StatusPartialContent
			headers.Set("Range", fmt.Sprintf("bytes=%d-", got))
		}
		answer, err := c.open(ctx, parts, nil, headers)
		if err != nil {
			return 0, err
		}
		if answer.StatusCode != wanted {
			return 0, c.data(answer, nil)(&struct{}{})
		}
		if size < 0 {
			size, err = strconv.ParseInt(answer.Header.Get("Content-Length"), 10, 64)
			if err != nil {
				answer.Body.Close()
				return 0, &Error{Code: "foreign", Message: "the server does not say how much comes"}
			}
		}
		to := &counter{out: out, got: &got, size: size, progress: progress}
		_, err = io.Copy(to, answer.Body)
		answer.Body.Close()
		switch {
		case to.err != nil:
			return 0, to.err
		case got == size:
			return size, nil
		case ctx.Err() != nil:
			return 0, ctx.Err()
		}
		tries++
		if got > before {
			tries = 0
		}
		if got > size || tries == 3 {
			message := fmt.Sprintf("%d of %d bytes came: %v", got, size, err)
			return 0, &Error{Code: "short", Message: message, Hint: "download it again"}
		}
	}
}

// counter tells failures of the file from those of the network.
type counter struct {
	out      io.Writer
	got      *int64
	size     int64
	progress func(done, total int64)
	err      error
}

func (c *counter) Write(piece []byte) (int, error) {
	n, err := c.out.Write(piece)
	*c.got += int64(n)
	c.err = err
	if err == nil && c.progress != nil {
		c.progress(*c.got, c.size)
	}
	return n, err
}

func (c *Client) begin(ctx context.Context, parts []string, body any, how Waiting) (Job, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return Job{}, err
	}
	// Without a reader that can be read twice, the request is never sent twice.
	request, err := c.request(ctx, http.MethodPost, parts, nil, struct{ io.Reader }{bytes.NewReader(text)})
	if err != nil {
		return Job{}, err
	}
	request.ContentLength = int64(len(text))
	request.Header.Set("Content-Type", "application/json")
	var job Job
	if err := c.data(c.send(request))(&job); err != nil {
		return Job{}, err
	}
	return c.end(ctx, job, how)
}

func (c *Client) end(ctx context.Context, job Job, how Waiting) (Job, error) {
	if how.Begin {
		return job, nil
	}
	return c.Wait(ctx, job.ID, how)
}

func (c *Client) get(ctx context.Context, parts []string, query url.Values, into any) error {
	return c.data(c.open(ctx, parts, query, nil))(into)
}

func (c *Client) open(ctx context.Context, parts []string, query url.Values, headers http.Header) (*http.Response, error) {
	for _, pause := range []time.Duration{200 * time.Millisecond, time.Second, 0} {
		request, err := c.request(ctx, http.MethodGet, parts, query, nil)
		if err != nil {
			return nil, err
		}
		for name, values := range headers {
			request.Header[name] = values
		}
		answer, err := c.send(request)
		var failure *Error
		if pause == 0 || !errors.As(err, &failure) || failure.Code != "unreachable" {
			return answer, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
	panic("BUG: the last try returns")
}

func (c *Client) request(ctx context.Context, method string, parts []string, query url.Values, body io.Reader) (*http.Request, error) {
	escaped := make([]string, len(parts))
	for at, part := range parts {
		escaped[at] = url.PathEscape(part)
	}
	address := strings.TrimRight(c.base.String(), "/") + "/api/v1/" + strings.Join(escaped, "/")
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "pagekeep-go")
	if c.options.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.options.Token)
	} else if c.options.User != "" {
		request.SetBasicAuth(c.options.User, c.options.Password)
	}
	return request, nil
}

func (c *Client) send(request *http.Request) (*http.Response, error) {
	answer, err := c.http.Do(request)
	if err != nil {
		if request.Context().Err() != nil {
			return nil, request.Context().Err()
		}
		return nil, c.unreachable(err)
	}
	if answer.StatusCode >= 300 && answer.StatusCode < 400 {
		answer.Body.Close()
		message := fmt.Sprintf("%s redirects to %q", c.base.Host, answer.Header.Get("Location"))
		return nil, &Error{Code: "redirected", Message: message, Status: answer.StatusCode}
	}
	return answer, nil
}

func (c *Client) unreachable(err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	if errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) {
		return &Error{Code: "untrusted", Message: err.Error(), Hint: "give your authority's certificates as CA"}
	}
	reason := err
	var operation *net.OpError
	if errors.As(err, &operation) {
		reason = operation
	}
	message := fmt.Sprintf("%s does not answer: %v", c.base.Host, reason)
	return &Error{Code: "unreachable", Message: message, Hint: "is it running, and is the address right?"}
}

// data reads an answer into what is given to the function that it returns.
func (c *Client) data(answer *http.Response, err error) func(any) error {
	return func(into any) error {
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(io.LimitReader(answer.Body, mostJSON))
		if err != nil {
			return c.unreachable(err)
		}
		var told struct {
			Success bool            `json:"success"`
			Data    json.RawMessage `json:"data"`
			Error   *Error          `json:"error"`
		}
		known := json.Unmarshal(text, &told) == nil
		if known && told.Success && answer.StatusCode < 300 && json.Unmarshal(told.Data, into) == nil {
			return nil
		}
		if known && told.Error != nil {
			told.Error.Status = answer.StatusCode
			return told.Error
		}
		message := fmt.Sprintf("%s answers with status %d, and not as pagekeep does", c.base.Host, answer.StatusCode)
		return &Error{Code: "foreign", Message: message, Status: answer.StatusCode}
	}
}

func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}
