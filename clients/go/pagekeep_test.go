package pagekeep

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The client against a running server: PAGEKEEP_URL, PAGEKEEP_TOKEN; a database is known there as shop.
func server(t *testing.T) (*Client, context.Context) {
	t.Helper()
	address := os.Getenv("PAGEKEEP_URL")
	if address == "" {
		t.Skip("PAGEKEEP_URL does not name a server")
	}
	client, err := New(address, Options{Token: os.Getenv("PAGEKEEP_TOKEN")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return client, ctx
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func TestABackupFromBeginToEnd(t *testing.T) {
	client, ctx := server(t)
	last := ""
	progress := func(job Job) { last = job.State }
	job := must[Job](t)(client.BackupDatabase(ctx, "shop", Backup{Note: "from go", Waiting: Waiting{Progress: progress}}))
	if job.State != "completed" || last != "completed" || job.Snapshot == nil {
		t.Fatalf("%+v, last seen %q", job, last)
	}
	newest := must[[]Snapshot](t)(client.List(ctx, "shop"))[0]
	if newest.Snapshot != *job.Snapshot || newest.Note == nil || *newest.Note != "from go" {
		t.Fatalf("%+v", newest)
	}
	if again := must[Job](t)(client.Status(ctx, job.ID)); *again.Snapshot != *job.Snapshot {
		t.Fatalf("%+v", again)
	}
	if all := must[[]Database](t)(client.Databases(ctx)); len(all) != 1 || all[0].Name != "shop" {
		t.Fatalf("%+v", all)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	var far int64
	size := must[int64](t)(client.Download(ctx, "shop", *job.Snapshot, copied, Download{Progress: func(done, _ int64) { far = done }}))
	content := must[[]byte](t)(os.ReadFile(copied))
	if int64(len(content)) != size || far != size || !bytes.HasPrefix(content, []byte("SQLite format 3\x00")) {
		t.Fatalf("%d bytes, %d told, %d last", len(content), size, far)
	}
	must[Job](t)(client.RestoreDatabase(ctx, "shop", *job.Snapshot, Waiting{}))
	up := must[Job](t)(client.Upload(ctx, "shop", copied, Upload{Note: "up"}))
	must[int64](t)(client.Download(ctx, "shop", *up.Snapshot, copied, Download{Replace: true}))
	if again := must[[]byte](t)(os.ReadFile(copied)); !bytes.Equal(again, content) {
		t.Fatal("another file came back")
	}
	if left := must[[]os.DirEntry](t)(os.ReadDir(filepath.Dir(copied))); len(left) != 1 {
		t.Fatalf("%v", left)
	}
	begun := must[Job](t)(client.BackupDatabase(ctx, "shop", Backup{Waiting: Waiting{Begin: true}}))
	if asked := must[Job](t)(client.Cancel(ctx, begun.ID)); asked.ID != begun.ID {
		t.Fatalf("%+v", asked)
	}
}

func TestFailuresSayWhatAndWhy(t *testing.T) {
	client, ctx := server(t)
	refused := func(code string, err error) {
		t.Helper()
		var failure *Error
		if !errors.As(err, &failure) || failure.Code != code || failure.Message == "" {
			t.Fatalf("%s is wanted, and not %v", code, err)
		}
	}
	_, err := client.List(ctx, "nothing")
	refused("not_found", err)
	folder := t.TempDir()
	taken := filepath.Join(folder, "taken")
	_, err = client.Download(ctx, "shop", "999", taken, Download{})
	refused("no_snapshot", err)
	if err := os.WriteFile(taken, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = client.Download(ctx, "shop", "latest", taken, Download{})
	refused("exists", err)
	_, err = client.Upload(ctx, "shop", taken, Upload{})
	refused("source", err)
	wrong := must[*Client](t)(New(os.Getenv("PAGEKEEP_URL"), Options{Token: "wrong"}))
	_, err = wrong.List(ctx, "shop")
	refused("unauthorized", err)
	nobody := must[*Client](t)(New("http://127.0.0.1:9", Options{}))
	_, err = nobody.Status(ctx, "job-1")
	refused("unreachable", err)
	_, err = New("http://ann:secret@127.0.0.1", Options{})
	refused("usage", err)
}
