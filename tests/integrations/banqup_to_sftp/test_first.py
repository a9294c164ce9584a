import time
from tests.integrations.banqup_to_sftp.rehearsal import *

def test_one(rehearsal):
    a=rehearsal.add(); b=rehearsal.add(folder=SALES); c=rehearsal.add_statement(); d=rehearsal.add(defect="wrong_total")
    t=time.process_time(),time.time()
    out=rehearsal.go()
    print(time.process_time()-t[0], time.time()-t[1])
    assert out.ties_out, out.red
    assert out.counts()==(3,1,0,0)
    assert rehearsal.has(a,b,c)
    t=time.process_time(),time.time()
    for n in range(5):
        a=rehearsal.add(); b=rehearsal.add(folder=SALES); c=rehearsal.add_statement(); d=rehearsal.add(defect="wrong_total")
        rehearsal.go()
    print(time.process_time()-t[0], time.time()-t[1])
