package shm

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// freshTable has what is made until the test ends use a table of its own.
func freshTable(t *testing.T) *owners {
	t.Helper()
	home.Lock()
	id := home.id
	home.id = region.ID{}
	home.Unlock()
	table, err := homeOwners()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		table.region.Release()
		home.Lock()
		defer home.Unlock()
		home.id = id
	})
	return table
}

// deadPID is the number of a process that was.
func deadPID(t *testing.T) uint32 {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^$")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return uint32(cmd.Process.Pid)
}

// claimAs makes an owner of another process.
func claimAs(t *testing.T, table *owners, pid uint32, f string) *owner {
	t.Helper()
	o, err := table.claim(wire.TaskName{Func: f, Rank: 1})
	if err != nil {
		t.Fatal(err)
	}
	slot := table.slot(o.number)
	word(slot, 0).Store(uint64(pid)<<32 | uint64(uint32(word(slot, 0).Load())))
	word(slot, slotWho).Store(1<<32 | uint64(pid))
	return o
}

// Slots of processes that died and that nobody swept are taken back once no other is left, with what they hold; those of the living stay.
//
// feature: K6
func TestSlotsOfTheDead(t *testing.T) {
	table := freshTable(t)
	m := &Mutex{}
	if err := m.open(kindMutex, nil); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	pid, lives := deadPID(t), uint32(os.Getppid())
	holder := claimAs(t, table, pid, "holder")
	if _, ok := m.l.guard.(mutexGuard).TryAcquire(holder.number); !ok {
		t.Fatal("not free")
	}
	other := claimAs(t, table, lives, "other")
	mine, err := table.claim(wire.TaskName{})
	if err != nil {
		t.Fatal(err)
	}
	for i := 4; i < ring.Owners; i++ {
		claimAs(t, table, pid, "")
	}
	if o, err := table.claim(wire.TaskName{}); err == nil {
		t.Fatalf("slot %d is free", ring.OwnerSlot(o.number))
	}
	var parcel wire.Parcel
	o, err := table.ofTask(&parcel) // with the slot that is found first, the holder's
	if err != nil {
		t.Fatal(err)
	}
	defer o.release()
	if ring.OwnerSlot(o.number) != ring.OwnerSlot(holder.number) {
		t.Errorf("it got slot %d", ring.OwnerSlot(o.number))
	}
	if !table.alive(other.number) || !table.alive(mine.number) || !table.alive(m.own.number) {
		t.Error("a slot of the living was taken")
	}
	if n := len(table.dead()); n != 0 {
		t.Errorf("%d dead are left", n)
	}
	var died *OwnerDiedError
	if err := m.Lock(t.Context()); !errors.As(err, &died) || died.Owner.PID != int(pid) || died.Owner.Func != "holder" {
		t.Errorf("locked with %v", err)
	}
	if err := m.Unlock(); err != nil {
		t.Error(err)
	}
}

// A process that finds no slot outside of its tasks sweeps likewise; a table full of the living stays full.
//
// feature: K6
func TestSlotsOfTheDeadForAProcess(t *testing.T) {
	table := freshTable(t)
	pid, lives := deadPID(t), uint32(os.Getppid())
	all := make([]*owner, ring.Owners)
	for i := range all {
		all[i] = claimAs(t, table, lives, "")
	}
	if _, err := NewMutex(); !errors.Is(err, errManyOwners) {
		t.Fatalf("got %v", err)
	}
	word(table.slot(all[7].number), 0).Store(uint64(pid)<<32 | 1)
	m, err := NewMutex()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if ring.OwnerSlot(m.own.number) != 7 {
		t.Errorf("it got slot %d", ring.OwnerSlot(m.own.number))
	}
}

// Who an owner was is not recorded by what its slot says of the next.
//
// feature: K6
func TestRecordOfASweptOwner(t *testing.T) {
	table := freshTable(t)
	m, err := NewMutex()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	first := claimAs(t, table, 1, "first")
	m.l.record(syncDead, first.number, false)
	table.free(first.number)
	claimAs(t, table, 1, "second")
	m.l.record(syncDead, first.number, false)
	if who, _ := m.l.recorded(syncDead, first.number); who.Func != "first" {
		t.Errorf("it is recorded as %+v", who)
	}
}
