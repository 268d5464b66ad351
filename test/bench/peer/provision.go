package peer

import (
	"github.com/provisioner/provisioner/test/program"
)

// supabase starts the stub of a Supabase project, once, and returns its base URL. Nobody counts what it spends.
func (r *Rig) supabase() (string, error) {
	if r.stub == "" {
		a, err := addrs(1)
		if err != nil {
			return "", err
		}
		if err := r.serveBare(&Peer{Name: "supabase"}, "supabase", a[0], nil); err != nil {
			return "", err
		}
		r.stub = "http://" + a[0]
	}
	return r.stub, nil
}

func (r *Rig) provision(name string) (*Peer, error) {
	supabase, err := r.supabase()
	if err != nil {
		return nil, err
	}
	return r.twoProcesses(name, supabase)
}

func (r *Rig) bareProvision(name string) (*Peer, error) {
	supabase, err := r.supabase()
	if err != nil {
		return nil, err
	}
	return r.bare(name, "provisioner", program.Settings{envSupabase: supabase})
}
